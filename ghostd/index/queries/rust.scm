; Definitions
(struct_item name: (type_identifier) @name.struct) @definition
(union_item name: (type_identifier) @name.union) @definition
(enum_item name: (type_identifier) @name.enum) @definition
(enum_variant name: (identifier) @name.enum_member) @definition
(field_declaration name: (field_identifier) @name.field) @definition
(trait_item name: (type_identifier) @name.trait) @definition
(type_item name: (type_identifier) @name.type) @definition
(associated_type name: (type_identifier) @name.type) @definition
(function_item name: (identifier) @name.function) @definition
(function_signature_item name: (identifier) @name.function) @definition
(const_item name: (identifier) @name.constant) @definition
(static_item name: (identifier) @name.variable) @definition
(mod_item name: (identifier) @name.module) @definition
(macro_definition name: (identifier) @name.macro) @definition
(impl_item type: (type_identifier) @name.scope) @scope
(impl_item type: (generic_type type: (type_identifier) @name.scope)) @scope
(impl_item type: (scoped_type_identifier name: (type_identifier) @name.scope)) @scope
(impl_item type: (generic_type type: (scoped_type_identifier name: (type_identifier) @name.scope))) @scope
(impl_item type: (reference_type type: (type_identifier) @name.scope)) @scope

; References
(identifier) @reference
(type_identifier) @reference
(field_identifier) @reference
(shorthand_field_identifier) @reference

; Imports
(use_declaration argument: (_) @import.tree) @import
(extern_crate_declaration name: (identifier) @import.module) @import
(extern_crate_declaration name: (identifier) alias: (identifier) @import.as)
(mod_item name: (identifier) @import.mod) @import
(source_file (macro_invocation (token_tree) @import.macro) @import)
(source_file (expression_statement (macro_invocation (token_tree) @import.macro) @import))
