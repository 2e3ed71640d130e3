"""The contract suite, for systems of this package and of any other.

    from bench.testing import Case, checks

    CASE = Case("my_system", family="words", data="text")

    @pytest.fixture(scope="session")
    def trained(tmp_path_factory):
        return CASE.fit(tmp_path_factory.mktemp("models") / CASE.name)

    @pytest.mark.parametrize("check", checks(CASE), ids=lambda check: check.__name__)
    def test_contract(check, trained):
        check(trained)

A check raises AssertionError with what is wrong. Nothing here needs pytest.
"""

from bench.testing.case import Case, Trained
from bench.testing.checks import Check, checks
from bench.testing.data import KINDS, tiny

__all__ = ["KINDS", "Case", "Check", "Trained", "checks", "tiny"]
