"""The stacks of a stage; `cdk.json` runs `cdk/app.py`."""

import os

# CDK works on Node 20, but prints a banner that hides what matters; this must be set before CDK is imported.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
