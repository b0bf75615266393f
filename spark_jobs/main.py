"""Entry point of every job run: `main.py --request s3://<lake>/requests/<run>/<step>/<subject>/<attempt>.json`.

Shipped alone as EMR Serverless's entryPoint; everything else is in the code archive given with --py-files.
"""

import sys

from spark_jobs.entry import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
