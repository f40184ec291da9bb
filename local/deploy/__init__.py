"""What `deploy.sh` needs beyond shell: settings, the folders to upload, the Supabase project, the keys.

Nothing here is deployed, and nothing here prints a secret.
"""
