"""stub"""
from dr_kfs.datasets.choices import Choices, StyleOptions
from dr_kfs.datasets.primitives import Solid, box
OPTIONS = StyleOptions(family="car", code=1, options={"a": {"b": 1.0}})
def build(choices: Choices) -> dict[str, Solid]:
    return {"x": box((1,1,1))}
