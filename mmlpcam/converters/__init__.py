"""What makes data sets: generated ones, for now."""
