"""Neighbourhood sampling: images without an image to start from, drawn from representations that are made up.

Finding 4 of the paper (a structure that can be explored) makes a promise: between neighbouring representations lie
others that are as good. New ones are convex combinations of the representation of an image and of one of its nearest
neighbours. They stand between the two things that one could do instead: draw from representations of real images, and
draw from a Gaussian fitted to them.

=========================  ============================================================================================
measure                    value, one for each picture; ``condition``: `probes.neighbourhood.sources.SOURCES` or images
=========================  ============================================================================================
``frechet``                contribution to the squared Frechet distance from other real images; the mean is the distance
``diversity``              distance to the other pictures of the set, doubled and less the set's mean, so that the mean
                           is the mean distance of two pictures and its spread that of a mean of pairs; over the mean
                           distance of two real images
``nearest``                distance to the nearest image of the gallery, in the same unit
=========================  ============================================================================================
"""

from probes.neighbourhood.measurement import Measurement, measure
from probes.neighbourhood.settings import NeighbourhoodSettings

__all__ = ["Measurement", "NeighbourhoodSettings", "measure"]
