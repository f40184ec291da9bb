"""The fault proxy: stands before the Supabase API and loses, delays or spoils what passes."""
