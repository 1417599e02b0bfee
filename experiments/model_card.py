"""The model card: what a registered policy is, what it is for, how good it is, and where it must not be trusted.

After Mitchell et al. (2019), in Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence

from decision.bundle.manifest import Manifest
from decision.programme.model import Programme
from experiments.certainty import Certainty
from experiments.dataset import Dataset
from experiments.selection import Candidate
from experiments.train_metrics import Measured, Metric
from experiments.train_report import Report, candidate_metrics

HEADLINES = (
    "policy_value",
    "policy_value_ips",
    "gain_over_control",
    "gain_over_best_constant",
    "share_treated",
    "targeting_gain",
)


def model_card(
    manifest: Manifest,
    data: Dataset,
    programme: Programme,
    *,
    candidates: Sequence[Candidate],
    because: str,
    measured: Measured,
    report: Report,
    certainty: Certainty | None = None,
) -> str:
    """Return the card of a challenger; every figure is out of sample, with its 95 % interval."""
    unit, provenance = programme.currency, manifest.provenance
    first = min(decision.decided_at for decision in data.decisions)
    lines = [
        f"# {programme.name}: policy {manifest.version or 'not yet numbered'}",
        "",
        *(
            ["**Simulated: customers, orders and effects come from a seed. Nothing here was measured.**", ""]
            * programme.simulated
        ),
        f"Learner **{provenance.learner}**, served by `{manifest.policy}`. It was chosen because {because}.",
        "",
        "## Data",
        "",
        f"- {len(data):,} finished {_kind(data)} decisions of {len(set(data.customers.tolist())):,} customers, "
        f"{first:%Y-%m-%d} to {data.ends_at:%Y-%m-%d}, {len(data.catalogue)} actions.",
        *_observational(data),
        f"- {100 * data.repurchased.mean():.1f} % repurchased inside {programme.attribution_window_days} days; value "
        f"{data.value.mean():.2f} {unit} per decision as logged.",
        f"- Data sha256 `{data.sha256}`; programme digest `{programme.digest}`; seed {provenance.seed}; "
        f"encore {provenance.encore_version}; MLflow run `{provenance.run_id}`.",
        "",
        "## How good",
        "",
        f"Out of fold by customer, in {unit} per decision where it is money; intervals are 95 %, by customer.",
        "",
        "| figure | value | interval | what it is |",
        "|---|---|---|---|",
        *(_row(metric) for metric in measured.metrics if metric.name in HEADLINES and metric.finite),
        "",
        "Figures per treatment, per fold, and what is absent and why: `metrics.csv`.",
        "",
        "| learner | value per decision | interval |",
        "|---|---|---|",
        *(_candidate(candidate, data) for candidate in candidates),
        "",
        "## Who gets what",
        "",
        *(report.tree.sentences(unit) if report.tree else [f"No policy tree: {report.no_tree_because}"]),
        "",
        *([] if certainty is None else [certainty.sentence, ""]),
        "## For what, and for what not",
        "",
        f"- For decisions of the programme `{programme.name}` right after "
        f"{' or '.join(sorted({decision.trigger for decision in data.decisions}))}, among the actions it was trained "
        "with, under the programme's guardrails.",
        "- Not for prices, credit, or any decision about a person beyond which offer she gets; not for other shops.",
        "- It foresees averages of customers alike. Nobody's own effect is known.",
        "",
        "## Limits",
        "",
        f"- Effects are those of {first:%Y-%m-%d} to {data.ends_at:%Y-%m-%d}; seasons, prices and competitors change.",
        "- Predicted gains are of the action that looks best and tend to be too high: see the deciles.",
        "- Choosing a learner by these figures makes the chosen one's look a little too good. The gate judges it on "
        "customers that no learner has seen (`encore evaluate`).",
        "- Contexts hold what decides over the allowed actions, except quiet hours and spent budgets.",
        "",
        "## Use",
        "",
        '`mlflow.pyfunc.load_model("models:/<name>@challenger").predict(frame)`, where `frame` has one column '
        "`context` of JSON objects as the ledger keeps them.",
    ]
    return "\n".join(lines) + "\n"


def _kind(data: Dataset) -> str:
    if data.observational.all():
        return "observational"
    return "randomised and observational" if data.observational.any() else "randomised"


def _observational(data: Dataset) -> list[str]:
    if not data.observational.any():
        return []
    return [
        f"- **{int(data.observational.sum()):,} of them are observational: estimated propensities.** Nobody drew who "
        "got what; figures that use them hold only if the context tells all that decided it. They never judge."
    ]


def _row(metric: Metric) -> str:
    return (
        f"| {metric.name} | {metric.value:.4f} | [{metric.low:.4f}, {metric.high:.4f}] ({metric.interval}) | "
        f"{metric.definition} |"
    )


def _candidate(candidate: Candidate, data: Dataset) -> str:
    if candidate.failure:
        return f"| {candidate.name} | - | {candidate.failure} |"
    found = candidate_metrics(candidate, data.customers)
    low, value, high = (found[f"policy_value{end}"] for end in ("_low", "", "_high"))
    return f"| {candidate.name} | {value:.4f} | [{low:.4f}, {high:.4f}] |"
