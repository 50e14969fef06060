"""The commands of ``rcdm-probe``, one module each."""
