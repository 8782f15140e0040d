"""Editions of the book's source: what readers, students and instructors each get to see."""
