"""What-if: recorded histories decided again by another definition, without sending anything.

`inputs` reads out of a history what its saga was told; `rehearsal` tells it to the candidate; `differences` compares
what each of them sent, and how it ended; `run` goes through a whole store.
"""
