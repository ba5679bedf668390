"""What a bond needs between its ADD and its DEL: examined, repaired, announced, or released.

Each enters the pod for that moment only, by the record's path, and checks whom it found there.
"""
