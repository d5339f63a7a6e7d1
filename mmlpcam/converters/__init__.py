"""What turns foreign data and weights into ours, and makes data."""
