"""Images and video from one or a few exemplars."""
