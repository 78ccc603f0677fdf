def run_check(*a):
    raise NotImplementedError


def print_report(*a):
    raise NotImplementedError
