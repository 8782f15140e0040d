// The theme draws its icons with the icon font in its style sheet; this file stands in for a large script that would draw them again.
