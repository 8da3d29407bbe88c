#!/bin/sh
# Fails where an object compiled for an x86-64 level exports a weak symbol (an inline function or template instance) outside of its own namespace: the
# linker might choose it for the whole program. Arguments: the objects. See kernels/cpu/dispatch.h.
found=0
for object in "$@"; do
  leaks=$(nm -C --defined-only "$object" | awk '$2 ~ /^[WVu]$/' | grep -vE 'trainctl::cpu::v[234]::|DW\.ref\.')
  if [ -n "$leaks" ]; then
    echo "$object:"
    echo "$leaks"
    found=1
  fi
done
exit $found
