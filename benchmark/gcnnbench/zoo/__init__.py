"""Networks of other people: what each is, what it claims, and what the audit finds at the sizes of its paper."""
