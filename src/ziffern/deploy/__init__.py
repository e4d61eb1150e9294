"""Files that use a trained model elsewhere: exports, each compared with the original, and the model card."""
