"""For tests that change what contracts there are."""

from contracts import contract as contracts


def read_contracts_anew():
    """Forget the contracts that this process has read."""
    contracts._read.cache_clear()
    contracts.load_all.cache_clear()
