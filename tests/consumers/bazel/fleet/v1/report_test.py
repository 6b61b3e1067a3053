"""A consumer's program: its own message around both schemas of torchstash."""

import unittest

from fleet.v1 import report_pb2

from torchstash.proto.cache.v1 import cache_sample_pb2
from torchstash.proto.content_store.v1 import tensor_metadata_pb2


class ReportTest(unittest.TestCase):
    def test_carries_both_schemas(self) -> None:
        report = report_pb2.Report(machine="gpu-7")
        report.samples.append(
            cache_sample_pb2.CacheSample(key="k", outcome=cache_sample_pb2.OUTCOME_HIT)
        )
        report.tensors["w"].CopyFrom(
            tensor_metadata_pb2.TensorMetadata(dtype="float32", sizes=[2, 3], strides=[3, 1])
        )
        received = report_pb2.Report.FromString(report.SerializeToString())
        self.assertEqual(received, report)
        self.assertEqual(received.samples[0].outcome, cache_sample_pb2.OUTCOME_HIT)
        self.assertEqual(list(received.tensors["w"].sizes), [2, 3])


if __name__ == "__main__":
    unittest.main()
