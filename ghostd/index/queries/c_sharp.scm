; Definitions
(namespace_declaration name: (_) @name.scope) @scope
(file_scoped_namespace_declaration name: (_) @name.scope) @scope
(class_declaration name: (identifier) @name.class) @definition
(struct_declaration name: (identifier) @name.struct) @definition
(record_declaration name: (identifier) @name.class) @definition
(record_declaration (parameter_list (parameter name: (identifier) @name.property) @definition))
(interface_declaration name: (identifier) @name.interface) @definition
(enum_declaration name: (identifier) @name.enum) @definition
(enum_member_declaration name: (identifier) @name.enum_member) @definition
(delegate_declaration name: (identifier) @name.type) @definition
(method_declaration name: (identifier) @name.method) @definition
(constructor_declaration name: (identifier) @name.method) @definition
(local_function_statement name: (identifier) @name.function) @definition
(property_declaration name: (identifier) @name.property) @definition
(event_declaration name: (identifier) @name.property) @definition
(event_field_declaration (variable_declaration (variable_declarator name: (identifier) @name.property))) @definition
(field_declaration (modifier) @_const (variable_declaration (variable_declarator name: (identifier) @name.constant))
  (#eq? @_const "const")) @definition
(field_declaration (variable_declaration (variable_declarator name: (identifier) @name.field))) @definition
(lambda_expression) @local
(anonymous_method_expression) @local

; References
(identifier) @reference

; Imports
(using_directive !name [(identifier) (qualified_name) (alias_qualified_name)] @import.module) @import
(using_directive name: (identifier) [(qualified_name) (alias_qualified_name)] @import.module) @import
