"""Records that carry the SHA-256 of their own bytes, which is checked whenever they are read.

`record` holds one JSON object in a file, `lines` one in each line, `arrays` arrays with a JSON
object beside them, and `text` any text. A flipped bit, a torn end or an edited value is refused.
"""
