"""The scorer as a runtime of MLServer."""

from __future__ import annotations

from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from experiments.bench.serving.peers.scorer import Scorer


class Runtime(MLModel):  # type: ignore[misc]
    """Takes one tensor, gives one."""

    async def load(self) -> bool:
        """Read the arrays that the settings name."""
        self.scorer = Scorer(Path(self.settings.parameters.uri))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return visit, repurchase and basket of every action."""
        found = self.scorer.score(NumpyCodec.decode_input(payload.inputs[0]))
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("scores", found)])
