"""Visual words: pictures to codes and back."""
