"""The interpolation probe: what is drawn from the points between two representations.

Finding 4 of the paper rests on its records: representations have a structure that can be explored, so that a path from
one image to another gives images that change from the one to the other.

=================  ====================================================================================================
paths              linear and spherical between two representations; the cross-fade of the images, encoded, as control
pairs              the ends: random pairs of a data set, or two given images
readings           factors that the judge reads off the samples along a path
distances          from each sample, encoded again, to every point of its path
pictures           strips of samples
=================  ====================================================================================================

All samples of a pair start from equal noise: along a path, only the representation changes.

=================  ====================================================================================================
measure            value; ``condition``; ``strength``; ``image`` is the first of the pair
=================  ====================================================================================================
``partner``        number of the image at the other end of the path (``level`` is empty); -1 for a given one
``from``, ``to``   a factor of the image at the first, the second end (``level`` is empty); the factor
``reading``        the factor that the judge reads off a sample; "path: factor"; its position on the path, in [0, 1]
``distance``       from a sample, encoded again, to a point of its path, over the typical distance of two images;
                   "path: number of the point that the sample was drawn from"; position of the point measured to
``offset``         from a point of a path to that of the straight line, relative likewise; path; position
=================  ====================================================================================================
"""

from probes.interpolation.measurement import Measurement, measure
from probes.interpolation.settings import InterpolationSettings

__all__ = ["InterpolationSettings", "Measurement", "measure"]
