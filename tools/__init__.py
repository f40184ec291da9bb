"""The workshop: what whoever changes Interlock uses, and nothing that runs or is deployed does."""
