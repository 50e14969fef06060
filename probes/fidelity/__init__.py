"""The fidelity probe: how far is the decoder to be trusted?

A sample is drawn for each of N images and encoded again. Is the representation that it was drawn from the nearest to
it? Do samples as a set look like images as a set? Are they copies of training images? And what do solver and number of
steps change?

======================  ===============================================================================================
measure                 value; ``condition`` and ``strength``: solver and steps, but for real images
======================  ===============================================================================================
``sample_rank``         place of the image among the gallery seen from h of its sample, 1 is the nearest
``frechet``             squared Frechet distance of the set from other real images, as contributions (mean: the value)
``inception_score``     Inception score of the set, as contributions (mean: the value)
``precision``           whether a picture of the set lies in the manifold of other real images
``recall``              whether one of these other real images lies in the manifold of the set
``nearest_training``    root mean square difference, in [0, 1], of a picture's pixels from the nearest training image
``nearest_held_out``    the same, from the nearest of as many real images that were not trained on
``swept_rank``          as ``sample_rank``, on fewer images, for every solver and number of steps
``swept_frechet``       as ``frechet``, of these fewer images
``seconds``             time of a picture, solver by solver (``image`` is -1); the one measure that no seed decides
======================  ===============================================================================================

Rows of real images themselves, the floor that a perfect decoder reaches, have no encoder and the condition
``real images``. The other real images are as many, and none of those that samples were drawn from.
"""

from probes.fidelity.measurement import Measurement, check, measure
from probes.fidelity.settings import FidelitySettings

__all__ = ["FidelitySettings", "Measurement", "check", "measure"]
