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

=========================  ============================================================================================
measure                    value; ``condition``; ``strength``
=========================  ============================================================================================
``relative_displacement``  distance of h(T(x)) from h(x) over the typical distance of two images; T; its dose
``cosine``                 cosine of h(T(x)) and h(x); T; its dose
``rank``                   place of x among the gallery seen from h(T(x)), 1 is the nearest; T; its dose
``applied_score``          log-odds, read linearly from h, that T was applied; T; 0 for x, the reference dose for T(x)
``strength_predicted``     dose read linearly from h(T(x)); T; the true dose, 0 for x
``true``                   a factor of the image (``level`` is empty); the factor
``present``                the factor read linearly from h(x); the factor
``rendered``               the factor that the judge reads off a sample from h(x); the factor
``within_variance``        variance among the samples of one h(x), mean over pixels and channels
``between_variance``       what the image adds to the variance of expected samples over images (mean: the variance)
=========================  ============================================================================================
"""

from probes.invariance.measurement import Measurement, measure
from probes.invariance.settings import InvarianceSettings

__all__ = ["InvarianceSettings", "Measurement", "measure"]
