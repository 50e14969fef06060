"""The manipulation probe: does a representation have parts that can be taken out, put in and turned like knobs?

Finding 4 of the paper rests on its records: the representations have a structure that can be explored. Dimensions that
an image shares with its neighbours are taken out of ``h``, or put into the ``h`` of another image; and ``h`` is moved
along the direction of a known factor. What an RCDM then draws, from equal noise, is read by the judge and encoded
again. As many random dimensions, and random dimensions that move ``h`` as far, stand beside.

=========================  ============================================================================================
measure                    value; ``condition``; ``strength``
=========================  ============================================================================================
``zeros``                  share of exact zeros among the numbers of a level (``image`` is -1)
``dimensions``             how many dimensions are common; ``own`` (of the image) or ``target``
``edited_displacement``    distance of the edited ``h`` from ``h`` over the typical distance; the edit
``sample_displacement``    the same of the samples of both, encoded again; the edit
``sample_gap``             squared distance from the re-encoded sample of ``h`` to that of the target, over the squared
                           typical distance
``sample_progress``        how far the re-encoded sample of the edited ``h`` has come along that way, in the same unit;
                           the edit
``rendered_untouched``     a factor that the judge reads off a sample of ``h``; the factor
``rendered_target``        the same of the target's ``h``, from the noise of the image
``rendered_EDIT``          the same of the edited ``h``, for every edit of `probes.manipulation.editing.EDITS`
``readable``               R2, leave one out, of the linear readout that gives a direction; the factor (``image`` is -1)
``rendered_moved``         a factor read off a sample of ``h`` moved along a direction; ``MOVED > READ``; how far, in
                           standard deviations of the readout
``spread``                 standard deviation of a factor over images (``level`` is empty, ``image`` is -1)
=========================  ============================================================================================
"""

from probes.manipulation.measurement import Measurement, measure
from probes.manipulation.settings import ManipulationSettings
from probes.manipulation.study import Given

__all__ = ["Given", "ManipulationSettings", "Measurement", "measure"]
