"""The audit: what was published, made again from the logged inputs. The one part of the verifier that imports the builder."""
