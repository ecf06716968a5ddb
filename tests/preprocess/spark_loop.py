"""Jobs of one Spark session: each line of standard input is an input and an output folder; answers "done" or the error.

``python spark_loop.py path/to/spark_job.py``, with the interpreter of the PySpark to be tested.
"""

import importlib.util
import json
import sys

from pyspark.sql import SparkSession

found = importlib.util.spec_from_file_location("spark_job", sys.argv[1])
job = importlib.util.module_from_spec(found)
sys.modules["spark_job"] = job
found.loader.exec_module(job)

spark = SparkSession.builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
print(spark.version, flush=True)
for line in sys.stdin:
    try:
        job.run_job(spark, *json.loads(line))
        print("done", flush=True)
    except Exception as err:
        print(" ".join(f"{type(err).__name__}: {err}".split())[:2000], flush=True)
    spark.catalog.clearCache()
spark.stop()
