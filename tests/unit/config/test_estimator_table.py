"""The table of scikit-learn's estimators against their classes; run as a script, it writes the table anew."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from numbers import Integral, Real
from pathlib import Path

import pytest

from evertrain.config import estimator_table
from evertrain.config.estimator_facts import as_json
from evertrain.config.estimator_table import TABLE_FILE, look_up
from evertrain.config.estimators import ask_class, build, describe_class, find_estimator
from evertrain.settings import read_settings

ROOT = Path(__file__).parents[3]
SETTINGS = read_settings({})
PATHS = tuple(json.loads(TABLE_FILE.read_bytes())["estimators"]) if TABLE_FILE.exists() else ()
# One value of each type that a YAML can give.
PROBES = {
    "null": None,
    "bool": True,
    "int": 3,
    "float": 0.7,
    "nan": math.nan,
    "str": "no such option",
    "list": [1],
    "dict": {"a": 1},
}
ODD_VALUES = [0, -1, 1, 2, 0.0, 1.0, -0.5, 1e9, math.inf, -math.inf, False, "", [], {}, [0.5, 2], 2**40]


def generate() -> str:
    """The table's text, from the installed scikit-learn: a line for each estimator."""
    import sklearn

    lines = ",\n".join(f'"{path}": {json.dumps(entry_of(kind))}' for path, kind in estimators().items())
    return f'{{"release": "{sklearn.__version__}", "estimators": {{\n{lines}\n}}}}\n'


def estimators() -> dict:
    """Every public class that can be fitted and predicts, by its public path."""
    from evertrain.config.estimators import _is_estimator, _public_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sklearn.utils import all_estimators

        found = {_public_path(kind): kind for _, kind in all_estimators() if _is_estimator(kind)}
    return dict(sorted(found.items()))


def entry_of(kind) -> dict:
    takes = describe_class(kind)
    constraints = kind._parameter_constraints
    defaults = {} if takes.required else build(kind, {}).get_params(deep=False)
    parameters = {
        name: parameter_of(constraints.get(name, "no_validation"), defaults.get(name))
        for name in takes.parameters
    }
    traits = None if takes.required else traits_of(kind, {})
    entry = {"takes": takes.model_dump(exclude_defaults=True), "parameters": parameters, "traits": traits}
    when = {} if takes.required else changes_of(kind, parameters, traits)
    return entry | ({"when": when} if when else {})


def traits_of(kind, params):
    traits = ask_class(kind, params).traits
    return None if traits is None else sorted(traits)


def changes_of(kind, parameters, usual):
    """Ask for the traits with each value that can be named: options and switches."""
    changes: dict = {}
    for name, parameter in parameters.items():
        values = [value for each in parameter.get("options", ()) for value in each["values"]]
        for value in [*values, *([True, False] if "bool" in parameter.get("types", ()) else [])]:
            traits = traits_of(kind, {name: value})
            if traits != usual:
                changes.setdefault(name, {})[json.dumps(value)] = traits
    return changes


def parameter_of(constraints, default) -> dict:
    from sklearn.utils._param_validation import Interval, Options, make_constraint

    facts = {} if default is None else {"default": as_json(default)}
    if constraints == "no_validation":
        return facts
    made = [make_constraint(constraint) for constraint in constraints]
    simple = [part for each in made for part in getattr(each, "_constraints", [each])]
    others = [each for each in simple if not isinstance(each, Interval | Options)]
    found = {
        "types": [
            name for name, value in PROBES.items() if any(each.is_satisfied_by(value) for each in others)
        ],
        "ranges": [range_of(each) for each in simple if isinstance(each, Interval)],
        "options": [options_of(each) for each in simple if isinstance(each, Options)],
    }
    return facts | {"must": words_of(made)} | {name: value for name, value in found.items() if value}


def range_of(interval) -> dict:
    ends = [None if end is None else float(end) for end in (interval.left, interval.right)]
    low, high = -math.inf if ends[0] is None else ends[0], math.inf if ends[1] is None else ends[1]
    kind = {Integral: "int", Real: "real"}.get(interval.type, "float")
    spelled = [end if math.isfinite(end) else str(end) for end in (low, high)]
    return {"kind": kind, "low": spelled[0], "high": spelled[1], "closed": interval.closed}


def options_of(options) -> dict:
    kind = {str: "str", Integral: "int", Real: "real"}[options.type]
    return {"kind": kind, "values": sorted(options.options, key=str)}


def words_of(made) -> str:
    """What scikit-learn says must be given; its sets in a fixed order."""
    shown = [sorted_words(each) for each in made if not each.hidden]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def sorted_words(constraint) -> str:
    from sklearn.utils._param_validation import Options

    text = str(constraint)
    if not isinstance(constraint, Options):
        return text
    named = sorted(constraint._mark_if_deprecated(option) for option in constraint.options)
    return f"{text.partition('{')[0]}{{{', '.join(named)}}}"


def values_for(parameter) -> list:
    """Good and bad values of a parameter: of every type, at and beside every end of a range, every option."""
    ends = [end for each in parameter.ranges for end in (each.low, each.high) if math.isfinite(end)]
    beside = [value for end in ends for value in (end, int(end), end - 1, end + 1, int(end) + 1, end + 1e-6)]
    return [*PROBES.values(), *ODD_VALUES, *beside, *named_values(parameter)]


def named_values(parameter) -> list:
    """The options and switches of a parameter."""
    switches = [True, False] if "bool" in parameter.types else []
    return [*(value for each in parameter.options for value in each.values), *switches]


def problem_in_class(kind, name, value) -> str | None:
    """What scikit-learn's own check says a parameter must be, if *value* isn't that."""
    from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

    try:
        validate_parameter_constraints(kind._parameter_constraints, {name: value}, kind.__name__)
    except InvalidParameterError as error:
        return str(error).partition(". Got ")[0].partition(" must be ")[2]
    return None


def in_any_order(text) -> list:
    """Words without their order: that of scikit-learn's sets differs from process to process."""
    return sorted(text or "")


def same_words(faults) -> list:
    return [(fault.path, fault.found, in_any_order(fault.expected)) for fault in faults]


def test_table_is_what_the_installed_scikit_learn_has():
    """The committed table is the one that the generator makes today."""
    assert TABLE_FILE.read_text(encoding="utf-8") == generate()


def test_every_public_estimator_is_in_it():
    """Each is found under the path that the table gives it."""
    assert len(PATHS) > 110
    assert [find_estimator(path, SETTINGS)[0] for path in PATHS] == list(estimators().values())


@pytest.mark.parametrize("path", PATHS)
def test_the_table_takes_and_refuses_what_the_class_does(path):
    """With the same words, for good and bad values of every parameter."""
    kind, _ = find_estimator(path, SETTINGS)

    for name, parameter in estimator_table._find_entry(path).parameters.items():
        for value in values_for(parameter):
            found = estimator_table._problem(parameter, value)
            assert in_any_order(found) == in_any_order(problem_in_class(kind, name, value)), (name, value)


@pytest.mark.parametrize("path", PATHS)
def test_the_table_and_the_class_say_the_same(path):
    """Verdict, traits and effective parameters: without parameters, with each option, and with wrong ones."""
    kind, _ = find_estimator(path, SETTINGS)
    entry = estimator_table._find_entry(path)
    optional = [name for name in entry.parameters if name not in entry.takes.required]
    trials = [{name: value} for name in optional for value in named_values(entry.parameters[name])]

    for params in [{}, {"no_such_parameter": 1, optional[-1]: "no such option"}, *trials]:
        table, asked = look_up(path, params), ask_class(kind, params)
        assert table.takes == asked.takes
        assert same_words(table.faults) == same_words(asked.faults), params
        assert (table.traits, table.parameters) == (asked.traits, asked.parameters), params


def test_several_parameters_are_judged_together():
    """Unknown names first, then wrong values; the traits follow the options."""
    facts = look_up("sklearn.linear_model.SGDClassifier", {"alpha": -1, "penalti": "l2", "loss": "log_loss"})
    assert [fault.path for fault in facts.faults] == ["training.params.penalti", "training.params.alpha"]

    facts = look_up("sklearn.linear_model.SGDClassifier", {"alpha": 1, "loss": "log_loss"})
    assert "probabilities" in facts.traits
    assert facts.parameters["loss"] == "log_loss"


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("sklearn.ensemble.VotingClassifier", {"estimators": [["a", "drop"]]}),
        ("sklearn.calibration.LinearSVC", {}),
        ("sklearn.tree.Tree", {}),
        ("lightgbm.LGBMClassifier", {}),
    ],
)
def test_what_only_the_class_can_say_is_left_to_it(path, params):
    """Estimators inside estimators, other spellings of a path, and other packages."""
    assert look_up(path, params) is None


@pytest.mark.parametrize("release", ["1.8.0", None])
def test_another_release_is_not_spoken_for(monkeypatch, release):
    """With another scikit-learn, or none, the class is asked."""

    def installed(_name):
        if release is None:
            raise estimator_table.PackageNotFoundError
        return release

    monkeypatch.setattr(estimator_table, "version", installed)

    assert look_up("sklearn.tree.DecisionTreeClassifier", {}) is None


@pytest.mark.parametrize("pipeline", ["flights", "weather"])
def test_checking_an_example_imports_no_library_for_data(pipeline):
    """`check` answers at once: no scikit-learn, no pandas; DuckDB only to parse a query."""
    code = (
        "import json, sys; sys.argv = ['evertrain', 'check', sys.argv[1]]\n"
        "from evertrain.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"configs/{pipeline}.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))

    assert not loaded & {"sklearn", "scipy", "pandas", "pyarrow", "great_expectations", "prefect", "mlflow"}
    assert ("duckdb" in loaded) is (pipeline == "flights")


if __name__ == "__main__":
    TABLE_FILE.write_text(generate(), encoding="utf-8")
