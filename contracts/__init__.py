"""The data contracts, and the one small library that reads them."""
