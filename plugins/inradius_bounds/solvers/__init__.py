"""Linear and mixed-integer programs over a set and a network, solved by HiGHS or stated in cvxpy."""
