#!/bin/sh
# autogen.sh - make ./configure and the Makefile template from configure.ac and Makefile.am.
set -e
cd "$(dirname "$0")"
exec autoreconf --install --warnings=all
