"""The invariance probe: what transformations do to a representation, and what a representation holds.

Findings 1 and 2 of the paper rest on its records: self-supervised backbones are not invariant to the augmentations they
were trained with, their projectors are.

=================  ====================================================================================================
geometry           how far each transformation at each dose moves ``h``, and whether the original is still nearest
readability        whether ``h`` tells, linearly, that and how strongly a transformation was applied
factors            known factors of the image: read from ``h`` (present), read off samples from ``h`` (rendered)
variance           what samples of one ``h`` share and what they do not
pictures           the same, to look at
=================  ====================================================================================================

What needs no decoder is measured without one.
"""

from probes.invariance.measurement import Measurement, measure
from probes.invariance.settings import InvarianceSettings

__all__ = ["InvarianceSettings", "Measurement", "measure"]
