"""What runs in the contained process, beside submitted code: one job, on the tensors that the host laid out."""
