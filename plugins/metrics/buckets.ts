/** Of what a person waits for, in seconds: half a millisecond of our own work up to a model that takes two minutes. */
export const waits = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120]
