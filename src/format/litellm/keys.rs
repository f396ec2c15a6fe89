//! Short closed lists of LiteLLM that seldom change. The long ones are in `names.txt`.

/// The names of a list.
pub(super) fn names(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split(' ')
}

/// Whether `name` is in `list`.
pub(super) fn knows(list: &'static str, name: &str) -> bool {
    names(list).any(|known| known == name)
}

/// Sections of the file.
pub(super) const TOP_LEVEL: &str = "\
    agent_list agents assistant_settings callback_settings classifier_plugin credential_list \
    default_vertex_config environment_variables files_settings finetune_settings general_settings guardrails \
    include litellm_settings mcp_semantic_tool_filter mcp_servers mcp_tools model_list pass_through_endpoints \
    plugins policies policy_attachments prompts router_settings sandbox_tools search_tools \
    vector_store_registry worker_registry";

/// An entry of `model_list`.
pub(super) const MODEL: &str = "\
    access_groups blocked litellm_params model_info model_name rpm tpm";

/// `routing_strategy`.
pub(super) const STRATEGIES: &str = "\
    cost-based-routing lar1 latency-based-routing least-busy provider-budget-routing simple-shuffle \
    usage-based-routing usage-based-routing-v2";

/// `retry_policy`.
pub(super) const RETRIES: &str = "\
    AuthenticationErrorRetries BadRequestErrorRetries ContentPolicyViolationErrorRetries DefaultRetries \
    InternalServerErrorRetries NotFoundErrorRetries RateLimitErrorRetries ServiceUnavailableErrorRetries \
    TimeoutErrorRetries";

/// `allowed_fails_policy`.
pub(super) const ALLOWED_FAILS: &str = "\
    AuthenticationErrorAllowedFails BadGatewayErrorAllowedFails BadRequestErrorAllowedFails \
    ContentPolicyViolationErrorAllowedFails InternalServerErrorAllowedFails NotFoundErrorAllowedFails \
    RateLimitErrorAllowedFails ServiceUnavailableErrorAllowedFails TimeoutErrorAllowedFails";

/// `cache_params.type`.
pub(super) const CACHES: &str = "\
    azure-blob disk gcs local qdrant-semantic redis redis-semantic s3 valkey-semantic";

/// Callbacks that LiteLLM refuses without its enterprise licence.
pub(super) const LICENSED: &str = "hide_secrets llamaguard_moderations llmguard_moderations";

/// Callbacks that need a directory which only LiteLLM's own image has, and the licence.
pub(super) const IMAGE_ONLY: &str =
    "banned_keywords blocked_user_check google_text_moderation openai_moderations";
