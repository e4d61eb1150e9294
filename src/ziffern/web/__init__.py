"""HTTP: a run's model as a service, and what other pages of this package share with it."""
