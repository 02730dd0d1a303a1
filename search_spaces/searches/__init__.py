"""Named hyperparameter searches."""
