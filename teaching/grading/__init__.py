"""Grade a folder of notebooks on one machine: students' code runs in a sandbox, the tests in the process that trusts itself.

What crosses between the two is data. `values` is its form and `errors` that of exceptions; `sandbox` starts the process for
students' code, `confine` takes rights away from it, `child` is the program inside and `answer` what it serves; `proxies`
stand for its functions in the tests, `trial` grades one submission, `notebook` reads one, `processes` runs trials, `grade`
goes through a folder, and `report` writes the tables.
"""
