"""Forms of keys by vendor, as their documentation and scanners of secrets have them."""

from __future__ import annotations

__all__ = ["VENDORS"]

_W = r"[A-Za-z0-9_-]"
_A = r"[A-Za-z0-9]"
_H = r"[0-9a-f]"

VENDORS: dict[str, str] = {
    # Vendors of LLMs and tools for them. ``sk-`` is OpenAI, Anthropic, OpenRouter, DeepSeek, Langfuse and many more.
    "sk": rf"sk-(?:[a-z]{{2,12}}-)?{_W}{{20,}}",
    "openai_session": rf"sess-{_A}{{40}}",
    "groq": rf"gsk_{_A}{{20,}}",
    "xai": rf"xai-{_A}{{20,}}",
    "perplexity": rf"pplx-{_A}{{20,}}",
    "replicate": rf"r8_{_A}{{30,}}",
    "huggingface": rf"(?:hf|api_org)_{_A}{{30,}}",
    "google": rf"AIza{_W}{{35}}",
    "google_access": rf"ya29\.{_W}{{20,}}",
    "google_client": rf"GOCSPX-{_W}{{20,}}",
    "google_refresh": rf"1//0{_W}{{30,}}",
    "langsmith": rf"lsv2_(?:pt|sk)_{_H}{{32}}_{_H}{{10}}",
    "langsmith_old": rf"ls__{_H}{{32}}",
    "cerebras": rf"csk-{_A}{{30,}}",
    "fireworks": rf"fw_{_A}{{20,}}",
    "together": rf"tgp_v1_{_W}{{30,}}",
    "nvidia": rf"nvapi-{_W}{{40,}}",
    "pinecone": rf"pcsk_{_W}{{30,}}",
    "voyage": rf"pa-{_W}{{40,}}",
    "jina": rf"jina_{_W}{{40,}}",
    "tavily": rf"tvly-{_W}{{20,}}",
    "elevenlabs": rf"sk_{_H}{{48}}",
    "posthog": rf"ph[cx]_{_A}{{32,}}",
    "runpod": rf"rpa_{_A}{{30,}}",
    "wandb": rf"wandb_v1_{_W}{{40,}}",
    # Clouds
    "aws": r"(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z2-7]{16}",
    "aws_bedrock": r"(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/]{60,}={0,2}",
    "azure_storage": r"AccountKey=[A-Za-z0-9+/]{80,}={0,2}",
    "azure_client": rf"{_A}{{3}}[78]Q~[A-Za-z0-9_~.-]{{31,34}}",
    "digitalocean": rf"do[oprt]_v1_{_H}{{64}}",
    "databricks": rf"dapi{_H}{{32}}",
    "supabase": rf"sb[pt]_{_A}{{32,}}",
    "supabase_secret": rf"sb_secret_{_W}{{20,}}",
    "planetscale": rf"pscale_(?:tkn|pw|oauth)_{_W}{{30,}}",
    "cloudflare_origin": rf"v1\.0-{_H}{{24}}-{_H}{{140,}}",
    "alibaba": rf"LTAI{_A}{{12,24}}",
    # Code and packages
    "github": rf"gh[pousr]_{_A}{{36,}}",
    "github_fine": r"github_pat_[A-Za-z0-9_]{22,}",
    "gitlab": rf"gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas)-{_W}{{20,}}",
    "npm": rf"npm_{_A}{{36}}",
    "pypi": rf"pypi-AgE{_W}{{50,}}",
    "rubygems": rf"rubygems_{_H}{{48}}",
    "docker": rf"dckr_(?:pat|oat)_{_W}{{20,}}",
    "nuget": r"oy2[a-z0-9]{43}",
    "bitbucket": rf"ATBB{_A}{{32,}}",
    "atlassian": rf"ATATT3{_W}{{50,}}={{0,2}}[A-F0-9]{{0,8}}",
    "sonar": rf"sq[pua]_{_H}{{40}}",
    # Communication and payment
    "slack": r"xox[a-z]-[A-Za-z0-9-]{10,}",
    "slack_app": rf"xapp-\d-{_W}{{20,}}",
    "slack_webhook": r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/]{30,}",
    "discord": rf"[MNO]{_W}{{23,27}}\.{_W}{{6}}\.{_W}{{27,40}}",
    "discord_webhook": rf"discord(?:app)?\.com/api/webhooks/\d+/{_W}{{60,}}",
    "telegram": rf"\d{{8,10}}:AA{_W}{{33}}",
    "stripe": rf"(?:sk|rk)_(?:live|test)_{_A}{{16,}}",
    "stripe_webhook": r"whsec_[A-Za-z0-9+/]{24,}",
    "twilio": rf"SK{_H}{{32}}",
    "sendgrid": rf"SG\.{_W}{{16,32}}\.{_W}{{16,64}}",
    "mailgun": rf"key-{_H}{{32}}",
    "mailchimp": rf"{_H}{{32}}-us\d{{1,2}}",
    "resend": rf"re_{_A}{{8}}_{_A}{{16,}}",
    "square": rf"sq0(?:atp|csp|idp)-{_W}{{22,}}",
    "shopify": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "facebook": rf"EAA{_A}{{60,}}",
    # Operations
    "grafana": r"gl(?:c|sa)_[A-Za-z0-9+/_=]{30,}",
    "sentry": r"sntr(?:ys|yu)_[A-Za-z0-9+/=_]{40,}",
    "newrelic": rf"NR(?:AK|II|JS)-{_W}{{20,}}",
    "vault": rf"hv[sbr]\.{_W}{{24,}}",
    "terraform": rf"{_A}{{14}}\.atlasv1\.{_W}{{60,}}",
    "doppler": rf"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]+\.)?{_A}{{40,}}",
    "pulumi": rf"pul-{_H}{{40}}",
    "postman": rf"PMAK-{_H}{{24}}-{_H}{{34}}",
    "linear": rf"lin_(?:api|oauth)_{_A}{{32,}}",
    "notion": rf"ntn_{_A}{{40,}}",
    "figma": rf"figd_{_W}{{40}}",
    "airtable": rf"pat{_A}{{14}}\.{_H}{{64}}",
    "hubspot": rf"pat-[a-z]{{2}}\d-{_H}{{8}}-{_H}{{4}}-{_H}{{4}}-{_H}{{4}}-{_H}{{12}}",
    "age": r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
    # Any of those that begin with ``sk-``, in Base64.
    "base64": r"c2st[A-Za-z0-9+/]{24,}={0,2}",
}
"""Patterns in RE2's syntax, by what they belong to."""
