"""Maintenance of a bond between ADD and DEL: examination, repair, announcement, release.

Each enters the pod for that moment only, by the record's path, and verifies its identity.
"""
