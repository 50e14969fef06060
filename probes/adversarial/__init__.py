"""The adversarial probe: how far a small perturbation, made for the purpose, moves a representation and its decision.

Finding 3 of the paper rests on its records: self-supervised representations are said to be more robust than supervised
ones. Every attack stands beside random noise of the same budget.

==========================  ===========================================================================================
measure                     value; ``condition``; ``strength`` (the budget, 0 for the untouched image)
==========================  ===========================================================================================
``correct``                 whether the linear classifier sees the true class; attack or noise; budget
``relative_displacement``   distance of h(x + d) from h(x) over the typical distance of two images; the same
``cosine``                  cosine of h(x + d) and h(x); the same
``smallest_budget``         smallest budget known to flip the decision, infinite where none did; attack
``class_seen``              whether the judge sees the true class in a sample from h(x + d); attack or noise; budget
``transferred``             ``correct`` under the adversaries made for another encoder; that encoder; budget
``effort``                  ``strength`` of the attack after more and more work; what was done; budget
``change``                  difference of the attack's loss between two near points; the first attack
``foretold``                the same as its gradient foretells it, 0 where that vanishes; the first attack
``perturbation``            size of the perturbation over the budget; attack; budget
``out_of_range``            how far a pixel of the attacked image lies outside [0, 1]; attack; budget
``unchanged``               whether the attack, run with a budget of 0, leaves the decision as it was; attack; 0
==========================  ===========================================================================================

Label-needing attacks are run on the images that the classifier gets right, for the others are lost already.
"""

from probes.adversarial.measurement import Measurement, measure
from probes.adversarial.settings import AdversarialSettings

__all__ = ["AdversarialSettings", "Measurement", "measure"]
