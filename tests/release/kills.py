full = False
CASES = []
