//! The names that LiteLLM 1.106 knows, taken from its source: one list for each part of a configuration.
//!
//! A name that only a later LiteLLM knows gives a warning, not an error, where LiteLLM accepts any name. The closed lists
//! are those where it ignores every other name.

/// The names of a list.
pub(super) fn names(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split_ascii_whitespace()
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

/// `router_settings`: the arguments of the router; closed.
pub(super) const ROUTER: &str = "\
    alerting_config allowed_fails allowed_fails_policy auto_router_capability_limit \
    background_health_check_model_groups cache_kwargs cache_responses caching_groups client_ttl \
    content_policy_fallbacks context_window_fallbacks cooldown_time debug_level default_fallbacks \
    default_litellm_params default_max_parallel_requests default_priority deployment_affinity_ttl_seconds \
    disable_cooldowns enable_health_check_routing enable_pre_call_checks enable_tag_filtering \
    enable_weighted_failover fallback_access_check fallback_budget_check fallbacks \
    health_check_ignore_transient_errors health_check_staleness_threshold ignore_invalid_deployments \
    max_fallbacks max_retries model_group_affinity_config model_group_alias model_group_retry_policy \
    num_retries optional_pre_call_checks plugins polling_interval provider_budget_config redis_db redis_host \
    redis_password redis_port redis_url retry_after retry_policy router_general_settings routing_groups \
    routing_strategy routing_strategy_args set_verbose stream_timeout tag_filtering_match_any \
    tag_routing_prefix timeout weights";

/// `litellm_settings`: what can be set on the library.
pub(super) const SETTINGS: &str = "\
    add_function_to_prompt add_user_information_to_llm_headers agent_search_embedding_model ai21_key \
    aiohttp_trust_env aleph_alpha_key allow_dynamic_callback_disabling allowed_fails amazon_nova_api_key \
    anthropic_beta_headers_url anthropic_key anthropic_prompt_caching_ttl anthropic_sse_ping_interval_seconds \
    api_base api_key api_version apply_search_free_tier argilla_batch_size argilla_transformation_object \
    audit_log_callbacks autorouter_presets_url aws_sqs_callback_params azure_key banned_keywords_list \
    baseten_key bedrock_neutralize_orphaned_tool_blocks bedrock_request_metadata_fields \
    bedrock_tool_name_mappings block_requests_for_models_without_pricing blocked_user_list blog_posts_url \
    budget_duration budget_exceeded_status_code budget_exceeded_throttle_percentage budget_reset_time \
    budget_rollover bytez_key cache cache_params caching callback_settings callbacks check_provider_endpoint \
    clarifai_key cloudflare_api_key cohere_key cold_storage_custom_logger cometapi_key \
    common_cloud_provider_auth_params content_policy_fallbacks context_window_fallbacks cost_discount_config \
    cost_margin_config credential_list custom_prometheus_metadata_labels custom_prometheus_tags \
    custom_prompt_dict custom_provider_map databricks_key datadog_llm_observability_params datadog_params \
    datadog_use_v1 datarobot_key default_fallbacks default_in_memory_ttl default_internal_user_params \
    default_key_generate_params default_key_max_budget_alert_emails default_max_internal_user_budget \
    default_redis_batch_cache_expiry default_redis_ttl default_soft_budget default_team_params \
    default_team_settings disable_add_prefix_to_prompt disable_add_transform_inline_image_block \
    disable_add_user_agent_to_request_tags disable_aiohttp_transport disable_aiohttp_trust_env \
    disable_anthropic_gemini_context_caching_transform disable_copilot_system_to_assistant \
    disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only \
    disable_hf_tokenizer_download disable_stop_sequence_limit disable_streaming_logging disable_token_counter \
    disable_vertex_batch_output_transformation drop_params dynamodb_table_name enable_anthropic_prompt_caching \
    enable_azure_ad_token_refresh enable_caching_on_provider_specific_optional_params \
    enable_end_user_cost_tracking_prometheus_only enable_gemini_default_thinking_level_low \
    enable_json_schema_validation enable_key_alias_format_validation enable_loadbalancing_on_batch_endpoints \
    enable_model_config_credential_overrides enable_preview_features enable_redis_auth_cache \
    expose_router_debug_in_errors extra_spend_tag_headers failure_callback fallbacks filter_invalid_headers \
    force_ipv4 force_redis_hash_tag_grouping forward_traceparent_to_llm_provider gcs_pub_sub_use_v1 \
    gdc_api_base gdc_key gemini_live_defer_setup generic_api_use_v1 generic_logger_headers gigachat_key \
    global_bitbucket_config global_disable_no_log_param global_gitlab_config global_prompt_directory \
    google_moderation_confidence_threshold gradient_ai_api_key groq_key guardrail_name_config_map guardrails \
    heroku_key http2 huggingface_key inception_key include_cost_in_streaming_usage infinity_key input_callback \
    internal_user_budget_duration json_logs key_alias_pattern key_generation_settings langfuse_default_tags \
    langfuse_enable_update_trace_keys langsmith_batch_size lemonade_key litellm_mode llama_api_key \
    llamaguard_model_name llamaguard_unsafe_content_categories llm_guard_mode log_auth_failure_key_identity \
    log_client_error_tracebacks log_raw_request_response logged_real_time_event_types \
    longer_context_model_fallback_dict maritalk_key max_budget max_end_user_budget max_end_user_budget_id \
    max_fallbacks max_internal_user_budget max_tokens max_ui_session_budget max_user_budget mcp_aliases \
    mcp_semantic_tool_filter mcp_tool_search model_alias_map model_cost_map_url model_fallbacks \
    model_group_settings modify_params nebius_key network_mock newrelic_params nlp_cloud_key novita_api_key \
    num_retries num_retries_per_request ollama_key openai_key openai_like_key openai_moderations_model_name \
    openai_system_messages_first openrouter_key organization otel_tenant_destination_mode output_parse_pii \
    overwrite_user_with_key_hash ovhcloud_key pointfive_params post_call_rules pre_call_rules predibase_key \
    predibase_tenant_id presidio_ad_hoc_recognizers presidio_logging_only priority_reservation \
    priority_reservation_settings project prometheus_deployment_and_latency_caller_identity \
    prometheus_emit_input_sequence_length_label prometheus_emit_rate_limit_labels prometheus_emit_stream_label \
    prometheus_end_user_metrics_cleanup_interval_seconds prometheus_end_user_metrics_max_series_per_metric \
    prometheus_end_user_metrics_ttl_seconds prometheus_exclude_labels prometheus_exclude_metrics \
    prometheus_initialize_budget_metrics prometheus_latency_buckets \
    prometheus_metrics_cleanup_interval_seconds prometheus_metrics_config \
    prometheus_metrics_max_series_per_metric prometheus_metrics_ttl_seconds \
    prometheus_user_budget_label_include_email_alias prompt_name_config_map \
    provider_url_destination_allowed_hosts proxy_auth public_agent_groups public_mcp_hub_strict_whitelist \
    public_mcp_servers public_model_groups public_model_groups_links public_skills_index \
    reasoning_auto_summary redact_messages_in_exceptions redact_user_api_key_info replicate_key \
    request_correlation_in_logs request_timeout require_auth_for_metrics_endpoint require_managed_files \
    responses return_response_headers route_all_chat_openai_to_responses s3_audit_callback_params \
    s3_callback_params safe_memory_mode sap_service_key scim_admin_group scim_upsert_user service_callback \
    set_verbose skill_search_embedding_model skip_system_message_in_guardrail skip_tool_message_in_guardrail \
    snowflake_key sse_keepalive_ping_interval_seconds ssl_certificate ssl_ecdh_curve ssl_security_level \
    ssl_verify standard_logging_payload_excluded_fields store_audit_logs strip_anthropic_total_tokens \
    success_callback suppress_debug_info tag_budget_config togetherai_api_key turn_off_message_logging \
    upperbound_key_generate_params use_aiohttp_transport use_chat_completions_url_for_anthropic_messages \
    use_litellm_proxy user_url_allowed_hosts user_url_validation validate_end_user_id_in_db \
    vector_store_index_registry vector_store_registry vector_store_search_failure_mode vercel_ai_gateway_key \
    vertex_ai_safety_settings vertex_location vertex_project wandb_key websearch_interception_params xai_key \
    zerobus_params";

/// `general_settings`: what the proxy server reads.
pub(super) const GENERAL: &str = "\
    admin_only_routes admission_queue_timeout_seconds alert_to_webhook_url alert_type_config alert_types \
    alerting alerting_args alerting_threshold allow_cli_sso_verification_uri_complete \
    allow_client_side_credentials allow_public_health_readiness_details allow_requests_on_db_unavailable \
    allow_unmanaged_response_ids allow_user_auth allowed_file_extensions allowed_ips allowed_routes \
    always_include_stream_usage apply_user_budget_to_team_keys auto_redirect_ui_login_to_sso \
    background_health_check_model_groups background_health_checks blocked_file_extensions cancel_on_disconnect \
    claude_code_gateway_managed_settings completion_model control_plane_url coordination_redis custom_auth \
    custom_auth_run_common_checks custom_key_generate custom_key_policy custom_key_update custom_sso \
    custom_team_metadata_validate custom_ui_sso_sign_in_handler dangerously_permit_weak_or_unset_master_key \
    database_args database_connect_timeout database_connection_pool_limit database_connection_pool_timeout \
    database_connection_timeout database_disable_prepared_statements database_extra_connection_params \
    database_max_idle_connection_lifetime database_socket_timeout database_type database_url \
    default_team_disabled disable_auto_add_proxy_admin_to_teams disable_batch_input_file_rate_limiting \
    disable_bedrock_agent_runtime_passthrough disable_budget_reservation disable_custom_api_keys \
    disable_env_credential_login disable_error_logs disable_key_generate_for_org_admin \
    disable_master_key_return disable_model_info_refresh disable_password_login_when_sso_enabled \
    disable_prisma_schema_update disable_reset_budget disable_responses_id_security \
    disable_retry_on_max_parallel_request_limit_error disable_spend_logs disable_spend_updates \
    drain_endpoint_token enable_claude_code_gateway enable_drain_endpoint enable_health_check_routing \
    enable_jwt_auth enable_mcp_registry enable_openai_websocket_passthrough enable_public_model_hub \
    enforce_fallback_model_access enforce_rbac enforce_user_param enforced_params \
    expose_fallback_errors_to_caller fail_closed_budget_enforcement fail_closed_rate_limit_enforcement \
    failed_login_block_seconds failed_login_window_seconds forward_client_headers_to_llm_api \
    forward_llm_provider_auth_headers forward_openai_org_id global_max_parallel_requests \
    health_check_concurrency health_check_details health_check_ignore_transient_errors health_check_interval \
    health_check_skip_disabled_background_models health_check_staleness_threshold \
    hide_default_credentials_hint include_call_id_in_error_body infer_model_from_keys key_management_settings \
    key_management_system litellm_jwtauth litellm_key_header_name litellm_license master_key \
    max_batch_file_records max_batch_file_size_mb max_batch_file_uploads_per_day \
    max_failed_login_attempts_per_source max_failed_login_attempts_per_source_overrides \
    max_file_downloads_per_minute max_file_size_mb max_in_flight_requests_per_worker max_parallel_requests \
    max_queued_requests_per_worker max_request_size_mb max_response_size_mb \
    maximum_autorouter_session_retention_period maximum_daily_tag_spend_retention_period \
    maximum_health_check_retention_period maximum_spend_logs_cleanup_batch_size \
    maximum_spend_logs_cleanup_batch_timeout maximum_spend_logs_cleanup_cron \
    maximum_spend_logs_cleanup_max_batches maximum_spend_logs_cleanup_run_budget \
    maximum_spend_logs_retention_interval maximum_spend_logs_retention_period mcp_advertised_versions \
    mcp_allow_all_keys_respects_mcp_scope mcp_allowed_clients mcp_client_id_header \
    mcp_client_side_auth_header_name mcp_internal_ip_ranges mcp_prefer_client_id_metadata_document \
    mcp_required_fields mcp_session_token_signing mcp_trusted_proxy_ranges mcp_xff_num_trusted_hops \
    missing_session_id model_list_healthy_only otel pass_through_endpoints pass_through_request_timeout \
    passthrough_managed_object_ids password_policy_check_breached_passwords password_policy_min_length \
    password_policy_require_lowercase password_policy_require_numbers \
    password_policy_require_special_characters password_policy_require_uppercase plugins \
    provider_url_destination_allowed_hosts proxy_batch_polling_interval proxy_batch_write_at \
    proxy_budget_rescheduler_max_time proxy_budget_rescheduler_min_time proxy_config_reload_interval_seconds \
    public_routes reject_clientside_metadata_tags require_end_user_mcp_access_defined \
    require_key_mcp_access_defined responses_websocket_session_limit_seconds role_permissions \
    scheduled_job_stagger search_tool_deny_by_default search_tools service_account_settings \
    skip_batch_input_file_rate_limiting_for_models skip_batch_input_file_rate_limiting_for_providers \
    spend_capture_rate_check spend_logs_metadata_fields spend_report_frequency store_model_in_db \
    store_prompts_in_spend_logs supported_db_objects team_metadata_schema \
    team_metadata_validation_error_message team_metadata_validation_timeout token_rate_limit_type tracing \
    track_unmanaged_batch_cost transcribe_media_buckets trusted_proxy_ranges ui_access_mode \
    use_azure_key_vault use_google_kms use_redis_transaction_buffer use_shared_health_check \
    use_spend_logs_partitioning use_team_public_model_name use_x_forwarded_for user_api_key_cache_max_size \
    user_api_key_cache_ttl user_header_mappings user_header_name user_mcp_management_mode \
    user_url_allowed_hosts user_url_validation vector_store_deny_by_default";

/// An entry of `model_list`.
pub(super) const MODEL: &str = "\
    access_groups blocked litellm_params model_info model_name rpm tpm";

/// `litellm_params`; names with a price in them are known by their form.
pub(super) const PARAMS: &str = "\
    adaptive_router_config adaptive_router_default_model additional_drop_params \
    allow_client_keepalive_override allowed_model_region allowed_openai_params anthropic_beta \
    anthropic_disable_workload_identity_federation anthropic_federation_rule_id \
    anthropic_federation_workspace_id anthropic_identity_source anthropic_identity_token \
    anthropic_identity_token_file anthropic_issuer_audience anthropic_issuer_signing_key_ref \
    anthropic_issuer_subject anthropic_issuer_ttl_seconds anthropic_issuer_url anthropic_keycloak_auth_method \
    anthropic_keycloak_client_id anthropic_keycloak_client_secret_ref anthropic_keycloak_scope \
    anthropic_keycloak_token_url anthropic_organization_id anthropic_service_account_id api_base api_key \
    api_version arize_api_key arize_error_sampling_rate arize_otlp_protocol arize_space_id arize_space_key \
    arize_success_sampling_rate assistant_continue_message audio auto_router_config auto_router_config_path \
    auto_router_default_model auto_router_embedding_model auto_router_max_input_chars \
    auto_router_model_compression auto_router_routing_compression aws_access_key_id aws_batch_role_arn \
    aws_bedrock_project_id aws_bedrock_runtime_endpoint aws_external_id aws_profile_name aws_region_name \
    aws_role_name aws_secret_access_key aws_session_name aws_session_tags aws_session_token aws_sts_endpoint \
    aws_web_identity_token azure_ad_token azure_ad_token_provider azure_password azure_scope azure_username \
    base_model base_url bedrock_tags bos_token bucket_name budget_duration cache \
    cache_control_injection_points cache_key caching caching_groups client_id client_secret \
    client_side_timeout complexity_router_config complexity_router_default_model \
    configurable_clientside_auth_params context_management context_window_fallback_dict cooldown_time \
    custom_llm_provider custom_prompt_dict data_residency dd_agent_host dd_agent_port dd_api_key dd_site \
    default_api_key_rpm_limit default_api_key_tpm_limit default_headers deployment_id dimensions \
    disable_add_transform_inline_image_block drop_params embedding_model enable_json_schema_validation \
    enable_prompt_caching enable_tag_filtering encoding_format ensure_alternating_roles eos_token extra_body \
    extra_headers fallbacks fastest_response fireworks_forward_user_id force_timeout frequency_penalty \
    gcs_bucket_name gcs_path_service_account guardrailConfig guardrails headers hf_model_name \
    humanloop_api_key id include include_server_side_tool_invocations index_name input_type itpm keep_alive \
    keepalive_seconds langfuse_environment langfuse_host langfuse_prompt_version langfuse_public_key \
    langfuse_secret langfuse_secret_key langfuse_span_scope langsmith_api_key langsmith_base_url \
    langsmith_project langsmith_sampling_rate langsmith_tenant_id litellm_credential_name \
    litellm_disabled_callbacks litellm_metadata litellm_request_debug litellm_session_id litellm_system_prompt \
    litellm_trace_id litellm_trusted_callback_vars log_client_error_tracebacks logit_bias logprobs \
    max_agentic_loops max_budget max_completion_tokens max_fallbacks max_file_size_mb max_parallel_requests \
    max_retries max_tokens merge_reasoning_content_in_choices metadata milvus_db_name milvus_partition_names \
    milvus_text_field min_p mock_response mock_timeout modalities model model_alias_map model_config \
    model_file_id_mapping model_info n newrelic_api_key newrelic_region no-log num_ctx num_retries \
    openai_identity_provider_id openai_identity_token_file openai_service_account_id order organization otpm \
    output_vector_size parallel_tool_calls performanceConfig posthog_api_key posthog_api_url prediction \
    presence_penalty preset_cache_key prompt_cache_key prompt_cache_retention prompt_environment prompt_id \
    prompt_label prompt_variables prompt_version provider_affinity_header provider_specific_header quality \
    quality_router_config quality_router_default_model reasoning reasoning_effort region_name \
    regional_endpoint_uplift_multiplier regional_processing_uplift_multiplier_eu \
    regional_processing_uplift_multiplier_us repetition_penalty requestMetadata request_timeout \
    response_format retry_policy retry_strategy roles rpm s3_access_key_id s3_bucket_name s3_bucket_owner \
    s3_encryption_key_id s3_endpoint_url s3_output_bucket_name s3_region_name s3_secret_access_key \
    safety_identifier safety_settings search_tool_name seed service_tier signoz_ingestion_endpoint \
    signoz_ingestion_key silent_model size speed ssl_verify stop store stream stream_chunk_size stream_options \
    stream_timeout stream_timeout_by_service_tier style supports_system_message tag_regex tags temperature \
    tenant_id thinking tiered_pricing timeout timeout_by_service_tier tool_choice tools top_k top_logprobs \
    top_p tpm truncation ttl turn_off_message_logging use_chat_completions_api use_client use_in_pass_through \
    use_litellm_proxy use_responses_api use_xai_oauth user user_continue_message valkey_embedding_field \
    valkey_host valkey_password valkey_port valkey_ssl valkey_text_field vector_bucket_name vector_store_id \
    verbose verbosity vertex_ai_credentials vertex_ai_location vertex_ai_project vertex_credentials \
    vertex_location vertex_project voice wandb_api_key watsonx_region_name weave_project_id web_search_options \
    weight";

/// The part of a model before its first /.
pub(super) const PROVIDERS: &str = "\
    a2a a2a_agent ai21 ai21_chat aiml aiohttp_openai amazon_nova anthropic anthropic_text apertis assemblyai \
    auto_router aws_polly aws_textract azure azure_ai azure_speech azure_text baseten bedrock bedrock_mantle \
    black_forest_labs bytez cerebras charity_engine chatgpt chutes clarifai cloudflare codestral cognition \
    cohere cohere_chat cometapi compactifai cortecs cursor custom custom_openai darkbloom dashscope databricks \
    datarobot deepgram deepinfra deepseek docker_model_runner dotprompt edenai elevenlabs empower fal_ai \
    featherless_ai fireworks_ai friendliai galadriel gdc gemini gigachat github github_copilot gradient_ai \
    groq helicone heroku hosted_vllm huggingface humanloop hyperbolic inception infinity jina_ai lambda_ai \
    langflow langfuse langgraph lemonade libertai litellm_agent litellm_proxy llamafile lm_studio manus \
    maritalk meta meta_llama milvus minimax mistral modelscope mongodb moonshot morph nadir nano-gpt nebius \
    neosantara nlp_cloud novita nscale nvidia_nim nvidia_riva oci ollama ollama_chat oobabooga openai \
    openai_like openrouter ovhcloud parasail perplexity petals pg_vector pinstripes poe predibase prism \
    publicai qwen_ai_platform qwencloud ragflow recraft reducto reka replicate runwayml s3_vectors sagemaker \
    sagemaker_chat sagemaker_nova sail sambanova sap scaleway scx-ai snowflake soniox stability \
    strands_decider synthetic tencent tensormesh text-completion-codestral text-completion-inception \
    text-completion-openai together_ai topaz transcribe triton typesafe v0 valkey vercel_ai_gateway vertex_ai \
    vertex_ai_beta vllm volcengine voyage wandb watsonx watsonx_text xai xiaomi_mimo xinference zai";

/// First words of models that are known without a provider.
pub(super) const FAMILIES: &str = "\
    ai21 amazon anthropic apac au babbage c4ai chat chatgpt claude cohere command computer davinci deepseek \
    embed eu ft gemini global google gpt j2 jamba jp medlm meta minimax mistral moonshot moonshotai \
    multimodalembedding nvidia o1 o3 o4 omni openai qwen rerank sora stability text tts twelvelabs us whisper \
    writer zai";

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

/// `callbacks`, `success_callback` and similar lists.
pub(super) const CALLBACKS: &str = "\
    agentops anthropic_cache_control_hook aporia_prompt_injection argilla arize arize_phoenix athina aws_sqs \
    azure_content_safety azure_sentinel azure_storage batch_redis_requests bitbucket braintrust cache \
    clickhouse cloudzero code_interpreter_interception compression_interception datadog \
    datadog_llm_observability datadog_metrics deepeval detect_prompt_injection dotprompt dynamic_rate_limiter \
    dynamic_rate_limiter_v3 dynamodb email focus galileo gcs_bucket gcs_pubsub generic_api gitlab \
    google_text_moderation greenscale helicone hide_secrets humanloop lago lakera_prompt_injection langfuse \
    langfuse_otel langsmith langtrace levo litellm_agent literalai llamaguard_moderations llmguard_moderations \
    logfire lunary managed_files managed_vector_stores mavvrik max_budget_limiter mlflow newrelic \
    openai_moderations openmeter opik otel pagerduty parallel_request_limiter pointfive posthog presidio \
    prometheus promptlayer resend_email s3 s3_v2 sendgrid_email sentry signoz slack smtp_email supabase \
    traceloop vantage vector_store_pre_call_hook wandb weave_otel websearch_interception zerobus";

/// `cache_params.type`.
pub(super) const CACHES: &str = "\
    azure-blob disk gcs local qdrant-semantic redis redis-semantic s3 valkey-semantic";
