"""vectors_made.py: texts with vectors that need no model: the direction is the topic."""
import hashlib

topics = ["sea", "rock", "bird", "tree"]


def vector(text):
    """8 numbers: one a topic, and the rest by the text itself."""
    h = hashlib.sha256(text.encode()).digest()
    return [1.0 if t in text else 0.05 for t in topics] + [b / 2560 for b in h[:4]]


texts = ["%s story number %d" % (topics[i % 4], i) for i in range(80)]
