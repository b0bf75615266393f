#!/bin/sh
# Finds the tools that the project cannot install for itself, and says how to get the missing ones.
missing=0
say() { printf 'assay: %s\n' "$1" >&2; missing=1; }

python_version=$("${PYTHON:-python3.11}" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
[ "$python_version" = 3.11 ] ||
  say "Python 3.11 not found (Lambda and EMR run that version). Install it (Debian 12: apt install python3.11 python3.11-venv; macOS: brew install python@3.11; else pyenv install 3.11), or name it: make PYTHON=/path/to/python3.11"

java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
java_version=$("$java" -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p' | head -n 1)
case "$java_version" in
  17 | 21) ;;
  '') say "Java not found (Spark 4.1 needs 17). Install it (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17) and set JAVA_HOME" ;;
  *) say "Java $java_version found, but Spark 4.1 needs 17 (21 works too). Install it (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17) and set JAVA_HOME" ;;
esac

node_version=$(node --version 2>/dev/null | sed -nE 's/^v([0-9]+).*/\1/p')
if [ -z "$node_version" ]; then
  say "Node not found (CDK needs 20 or newer). Install it (Debian: apt install nodejs; macOS: brew install node@20; or nvm install 20)"
elif [ "$node_version" -lt 20 ]; then
  say "Node $node_version found, but CDK needs 20 or newer. Install it (macOS: brew install node@20; or nvm install 20)"
fi
exit $missing
