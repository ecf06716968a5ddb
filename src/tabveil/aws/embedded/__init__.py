"""An AWS endpoint on loopback that ships with the product: moto answers, and executors really run the jobs.

- `process`: starts and stops it from a stage
- `server`: the process itself: moto 5.2.5, opened by one key, with the executors installed
- `context`: what the executors are given
"""
